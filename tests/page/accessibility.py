"""What a page must have for everybody, worked out in the page itself: names, order, contrast (WCAG 2.2 AA)."""

from __future__ import annotations

from playwright.async_api import Page

_CONTRAST = """() => {
    const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour[3] !== 0) return colour;
        }
        return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    };
    const ratio = (a, b) => {
        const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (light + 0.05) / (dark + 0.05);
    };
    const faults = [];
    const judge = (node, what, colour, ground, least) => {
        const found = ratio(parse(colour), ground);
        if (found < least) faults.push(`${what} in ${node.className || node.id || node.tagName}: ${found.toFixed(2)} < ${least}`);
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !node.checkVisibility({ visibilityProperty: true })) continue;
        if (node.closest("script, style, noscript, audio, .sr")) continue;
        const style = getComputedStyle(node);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        judge(node, JSON.stringify(texts.currentNode.data.trim().slice(0, 30)), style.color, behind(node), large ? 3 : 4.5);
    }
    for (const part of document.querySelectorAll(".part, .swatch, .level i, .dot")) {
        judge(part, "colour", getComputedStyle(part).backgroundColor, behind(part.parentElement), 3);
    }
    return faults;
}"""

_MARKUP = """() => {
    const faults = [];
    if (!document.documentElement.lang) faults.push("no language");
    if (!document.title.trim()) faults.push("no title");
    if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
    const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
    for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) faults.push(`twice: #${id}`);
    for (const node of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
        for (const attribute of ["aria-labelledby", "aria-describedby"]) {
            for (const id of (node.getAttribute(attribute) ?? "").split(" ").filter(Boolean)) {
                if (!document.getElementById(id)) faults.push(`${attribute} points nowhere: ${id}`);
            }
        }
    }
    const named = (node) => node.ariaLabel?.trim() || node.getAttribute("aria-labelledby") || node.innerText?.trim();
    for (const node of document.querySelectorAll("button, a[href], audio, section, [role=meter], [role=log]")) {
        if (node.checkVisibility() && !named(node)) faults.push(`no name: ${node.outerHTML.slice(0, 80)}`);
    }
    for (const node of document.querySelectorAll("svg")) {
        if (node.getAttribute("aria-hidden") !== "true") faults.push("a picture without words");
    }
    const shown = [...document.querySelectorAll("h1, h2, h3")].filter((node) => node.checkVisibility());
    const levels = shown.map((node) => Number(node.tagName[1]));
    if (levels[0] !== 1 || levels.some((level, at) => at && level > levels[at - 1] + 1)) faults.push(`headings: ${levels}`);
    for (const role of ["status", "alert", "log"]) {
        if (!document.querySelector(`[role=${role}]`)) faults.push(`no live region: ${role}`);
    }
    return faults;
}"""


async def contrast_faults(page: Page) -> list[str]:
    """Texts below 4.5 (large ones below 3) and coloured parts below 3 against what lies behind them."""
    return list(await page.evaluate(_CONTRAST))


async def markup_faults(page: Page) -> list[str]:
    """Controls without a name, references that lead nowhere, headings out of order, missing live regions."""
    return list(await page.evaluate(_MARKUP))
