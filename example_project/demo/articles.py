"""The sample content: posts and pages of Crumb & Kettle, a bakery that does not exist."""

from __future__ import annotations

from dataclasses import dataclass

SITE_NAME = "Crumb & Kettle"
SITE_URL = "https://crumb-and-kettle.example"


@dataclass(frozen=True, slots=True)
class Article:
    """One post or page as its WordPress site would send it."""

    source_id: str
    post_type: str
    slug: str
    title: str
    tags: tuple[str, ...]
    text: str


ARTICLES = (
    Article(
        "page-12",
        "page",
        "visit",
        "Opening hours and how to find us",
        ("visit",),
        "Crumb & Kettle is open Tuesday to Friday from 7:30 to 17:00 and on Saturday from 8:00 to 14:00. "
        "We are closed on Sunday and Monday, when the ovens rest and so do we. "
        "You find us at 14 Mill Lane, two minutes from the old water mill; bus 6 stops at the door. "
        "There are bicycle stands in front of the shop and three parking places behind it.",
    ),
    Article(
        "post-31",
        "post",
        "what-is-in-our-sourdough",
        "What is in our sourdough?",
        ("bread", "allergens"),
        "Our sourdough has four ingredients: wheat flour, rye flour, water and sea salt. "
        "The starter is nine years old and is fed twice a day. "
        "The dough ferments for 36 hours in the cold room, which is why the crust is dark and the crumb is mild. "
        "The loaf contains gluten and no milk, egg, nuts or added sugar, so it is vegan.",
    ),
    Article(
        "post-38",
        "post",
        "gluten-free-fridays",
        "Gluten-free Fridays",
        ("bread", "allergens"),
        "On Friday we bake a gluten-free buckwheat loaf and almond cakes in a separate oven. "
        "Please order gluten-free bread by Thursday noon, because we bake only what was ordered. "
        "The same kitchen handles wheat flour on other days, so we can't promise that it is free of traces. "
        "Guests with coeliac disease should talk to us first.",
    ),
    Article(
        "page-19",
        "page",
        "cakes-to-order",
        "Cakes to order",
        ("cakes", "orders"),
        "Celebration cakes need three working days; wedding cakes need four weeks and a tasting. "
        "A cake for twelve guests costs from 48 euros, a cake for twenty-four from 85 euros. "
        "You pay a third when you order, and you can change or cancel free of charge until two days before. "
        "We deliver within 15 kilometres for 9 euros, or you pick the cake up from 8:00.",
    ),
    Article(
        "post-44",
        "post",
        "bread-class",
        "Learn to bake: our Saturday class",
        ("class",),
        "Once a month Marta teaches a bread class for up to eight people, on Saturday from 14:30 to 18:00. "
        "A place costs 65 euros with flour, starter and supper included. "
        "You take home a loaf, a jar of our starter and the recipe. "
        "Children from ten years of age are welcome with an adult.",
    ),
    Article(
        "page-23",
        "page",
        "returns-and-vouchers",
        "Vouchers, deliveries and complaints",
        ("orders",),
        "Gift vouchers are valid for three years and can be used in the shop, for cakes and for the class. "
        "Bread subscriptions are delivered on Wednesday and Saturday mornings and can be paused until 18:00 the day "
        "before. "
        "If something was not as good as it should be, write to hello@crumb-and-kettle.example with a photo. "
        "We refund or replace it within two days, no discussion.",
    ),
)

PROMPTS = (
    "When are you open on Saturday?",
    "Is the sourdough vegan?",
    "How early must I order a wedding cake?",
    "Can I pause my bread subscription?",
)
