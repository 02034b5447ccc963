// What a person with a screen reader, a keyboard or weak sight needs of a page. Returns the faults as texts.
() => {
  const faults = [];
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const brief = (element) => element.outerHTML.slice(0, 90);
  const text = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ");

  const nameOf = (element) => {
    const labelled = element.getAttribute("aria-labelledby");
    const labels = element.labels ? Array.from(element.labels, (label) => label.textContent).join(" ") : "";
    const images = Array.from(element.querySelectorAll("img[alt]"), (image) => image.alt).join(" ");
    return [labelled ? text(labelled) : "", element.getAttribute("aria-label") || "", labels, element.textContent, images]
      .map((part) => part.trim()).find(Boolean) || "";
  };
  for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [role=img], progress")) {
    const own = element.matches("input, select, textarea, progress") ? element.labels?.length || element.ariaLabel : nameOf(element);
    if (shown(element) && !own) faults.push(`no name: ${brief(element)}`);
  }

  const ids = Array.from(document.querySelectorAll("[id]"), (element) => element.id);
  for (const id of new Set(ids.filter((one, index) => ids.indexOf(one) !== index))) faults.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], [for], [aria-controls]")) {
    for (const name of ["aria-labelledby", "aria-describedby", "for", "aria-controls"]) {
      const wanted = element.getAttribute(name);
      if (wanted && !ids.includes(wanted)) faults.push(`${name} names no element: ${brief(element)}`);
    }
  }

  if (document.documentElement.lang !== "en") faults.push("the page has no language");
  if (!document.title.includes("Hookferry")) faults.push("the page has no title");
  for (const selector of ["main", "h1"]) {
    const count = document.querySelectorAll(selector).length;
    if (count !== 1) faults.push(`${count} elements ${selector}`);
  }
  for (const selector of ["nav", "section"]) {
    for (const element of document.querySelectorAll(selector)) {
      if (!element.ariaLabel && !element.getAttribute("aria-labelledby")) faults.push(`landmark without a name: ${brief(element)}`);
    }
  }
  for (const head of document.querySelectorAll("th:not(.uplot th)")) if (!head.scope) faults.push(`a heading without scope: ${brief(head)}`);
  let level = 0;
  for (const head of document.querySelectorAll("main h1, main h2, main h3")) {
    const own = Number(head.tagName[1]);
    if (own > level + 1) faults.push(`a heading of level ${own} follows level ${level}: ${brief(head)}`);
    level = own;
  }

  const color = (value) => {
    const parts = value.match(/[\d.]+/g).map(Number);
    return value.startsWith("color(") ? parts.slice(-4).map((part, at) => (at < 3 ? part * 255 : part)) : parts;
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [red, green, blue, alpha = 1] = color(getComputedStyle(one).backgroundColor);
      if (alpha === 1) return [red, green, blue];
    }
    return color(getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)");
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element) || !shown(element) || element.closest("canvas, option, noscript")) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const [light, dark] = [luminance(color(style.color).slice(0, 3)), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < least) faults.push(`contrast ${ratio.toFixed(1)}: ${brief(element)}`);
  }

  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = Array.from(document.querySelectorAll("body *")).find((element) => element.getBoundingClientRect().right > innerWidth + 1);
    faults.push(`wider than the window: ${wide ? brief(wide) : ""}`);
  }
  return faults;
}
