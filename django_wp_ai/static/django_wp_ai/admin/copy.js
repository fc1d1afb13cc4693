/* Copies the code element before a button. Without a script the buttons stay hidden and the text can be selected. */
"use strict";
{
    const select = function (element) {
        const range = document.createRange();
        range.selectNodeContents(element);
        const selection = window.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
    };

    // The clipboard API exists on https and localhost only; the old command works everywhere else.
    const copy = async function (element) {
        if (navigator.clipboard) {
            try {
                await navigator.clipboard.writeText(element.textContent);
                return true;
            } catch (refused) {
                select(element);
                return document.execCommand("copy");
            }
        }
        select(element);
        return document.execCommand("copy");
    };

    const start = function () {
        for (const button of document.querySelectorAll(".wpai-copy")) {
            const label = button.textContent;
            button.hidden = false;
            button.addEventListener("click", async function () {
                const done = await copy(button.previousElementSibling);
                button.textContent = done ? button.dataset.done : button.dataset.failed;
                window.setTimeout(function () {
                    button.textContent = label;
                }, 2000);
            });
        }
    };

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", start);
    } else {
        start();
    }
}
