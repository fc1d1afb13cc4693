"""A bakery's site in WordPress: 300 posts and pages of all sorts, and what its editors do with them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.wordpress import WordPress

Call = tuple[Any, ...]  # of a function of WordPress: its name, and arguments

PARAGRAPH = "<!-- wp:paragraph --><p>{}</p><!-- /wp:paragraph -->"
BLOCKS = """<!-- wp:heading --><h2 class="wp-block-heading">Prices</h2><!-- /wp:heading -->
<!-- wp:table --><figure class="wp-block-table"><table><thead><tr><th>Bread</th><th>Price</th></tr></thead>
<tbody><tr><td>Rye {n}</td><td>4.20</td></tr></tbody></table></figure><!-- /wp:table -->
[caption id="attachment_7" width="300"]<img src="https://example.org/rye.jpg" alt="" /> A loaf of the morning[/caption]
<!-- wp:heading --><h2 class="wp-block-heading">Baking</h2><!-- /wp:heading -->
<!-- wp:list --><ul><!-- wp:list-item --><li>{text}</li><!-- /wp:list-item --></ul><!-- /wp:list -->"""
#: Posts go by numbers here: what kind they are from which number on, and how many.
KINDS = {
    0: ("plain", 200),
    200: ("page", 30),
    230: ("german", 20),
    250: ("japanese", 20),
    270: ("blocks", 10),
    280: ("draft", 5),
    285: ("private", 5),
    290: ("password", 5),
    295: ("pending", 2),
    297: ("future", 3),
}
PUBLIC = 280
TEXTS = {
    "german": "Der Teig {} ruht über Nacht im kühlen Keller, und wir backen ihn früh am Morgen im Holzofen.",
    "japanese": "このパン {} は毎朝六時に石窯で焼いています。土曜日は午後二時まで営業しております。",
}
ENGLISH = "The loaf {} rests in the cool cellar over night, and we bake it early in the morning."


def word(number: int | str) -> str:
    """What is in the content of one post only."""
    return f"zeta{number:0>4}"


class Editors:
    """What the site's people do, to posts by their numbers."""

    def __init__(self, wordpress: WordPress) -> None:
        self._wordpress = wordpress
        self.kinds = {first + at: kind for first, (kind, many) in KINDS.items() for at in range(many)}
        self._ids: list[int] = []

    def write_all(self) -> None:
        """Posts of a year ago, so that only what is edited is news."""
        self._wordpress.call(
            ("update_option", "timezone_string", "America/New_York"),
            *(("wp_delete_post", number, True) for number in (1, 2, 3)),  # what a new site begins with
        )
        self._ids = self._wordpress.call(*(("wp_insert_post", self._post(n), True) for n in self.kinds))

    def name(self, number: int) -> str:
        return f"{'page' if self.kinds[number] == 'page' else 'post'}-{self._ids[number]}"

    def shown(self, but: Collection[int] = ()) -> dict[str, str]:
        """The addresses of what every visitor may read, by source id, without some posts."""
        left_out = {self.name(number) for number in but}
        return {name: url for name, url in self._wordpress.public().items() if name not in left_out}

    def do(self, *calls: Call) -> None:
        """What the methods below give, in this order."""
        self._wordpress.call(*calls)

    def change(self, number: int, **fields: Any) -> Call:
        return ("wp_update_post", {"ID": self._ids[number], **fields}, True)

    def rewrite(self, number: int) -> Call:
        return self.change(number, post_content=self._content(number, word(number + 1000)))

    def publish_now(self, number: int) -> Call:
        """As the editor's button does with a post that waits for its day."""
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        return self.change(number, post_status="publish", post_date_gmt=at, post_date="", edit_date=True)

    def let_appear(self, number: int) -> Call:
        return ("let_appear", self._ids[number])

    def trash(self, number: int) -> Call:
        return ("wp_trash_post", self._ids[number])

    def restore(self, number: int) -> tuple[Call, Call]:
        """Out of the bin, which makes a draft of it, and to the visitors."""
        return ("wp_untrash_post", self._ids[number]), self.change(number, post_status="publish")

    def delete(self, number: int) -> Call:
        return ("wp_delete_post", self._ids[number], True)

    def use_plain_permalinks(self) -> Call:
        return ("update_option", "permalink_structure", "")

    def _post(self, number: int) -> dict[str, Any]:
        kind = self.kinds[number]
        at = datetime.now(UTC) + timedelta(days=2 if kind == "future" else -365)
        return {
            "post_type": "page" if kind == "page" else "post",
            "post_title": f"Bread & more, {number}",
            "post_name": f"bread-{number}",
            "post_content": self._content(number, word(number)),
            "post_status": kind if kind in ("draft", "private", "pending", "future") else "publish",
            "post_password": "open" if kind == "password" else "",
            "post_date": f"{at:%Y-%m-%d %H:%M:%S}",
            "tags_input": ["bread", f"shelf {number % 10}"],
        }

    def _content(self, number: int, text: str) -> str:
        kind = self.kinds[number]
        if kind == "blocks":
            return BLOCKS.format(n=number, text=ENGLISH.format(text))
        return PARAGRAPH.format(TEXTS.get(kind, ENGLISH).format(text))
