"""Contrast of the words of a page with what is behind them, by WCAG 2, and scripts that find both colours."""

BACKGROUND = """(function behind(element) {
    var colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
})"""
INK = "(function (element) { return getComputedStyle(element).color; })"
WORDS = f"""return Array.from(document.querySelectorAll("body *")).filter(function (element) {{
    var isHTML = element instanceof HTMLElement && element.tagName !== "SCRIPT";
    return isHTML && Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
}}).map((element) => [{BACKGROUND}(element), {INK}(element), element.textContent.slice(0, 30)]);"""


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
