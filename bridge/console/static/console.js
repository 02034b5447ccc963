// What the pages do with a script: keys, copying, selecting, fresh times, and when not to refresh.
// Every page works without it. It makes no markup from data.
"use strict";

(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const announce = (text) => { document.getElementById("announced").textContent = text; };
  const paused = new Set();

  // Relative times. The clock of this machine may be wrong, so ages grow from what the server wrote.
  const units = [[1, "s", 90], [60, "min", 5400], [3600, "h", 129600], [86400, "d", Infinity]];
  const begun = new WeakMap();
  const duration = (seconds) => {
    const [unit, name] = units.find(([, , limit]) => seconds < limit);
    return `${Math.round(seconds / unit)} ${name}`;
  };
  const freshen = () => {
    for (const time of all("time[data-age]")) {
      if (!begun.has(time)) { begun.set(time, performance.now()); continue; }
      const age = Number(time.dataset.age) + (performance.now() - begun.get(time)) / 1000;
      time.textContent = Math.abs(age) < 1 ? "now" : age > 0 ? `${duration(age)} ago` : `in ${duration(-age)}`;
    }
  };
  setInterval(freshen, 10000);

  // A table that looks like cards keeps its roles
  const roles = () => {
    const named = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };
    for (const table of all("table.cards")) {
      table.setAttribute("role", "table");
      for (const [tag, role] of Object.entries(named)) {
        for (const part of all(tag, table)) part.setAttribute("role", role);
      }
      for (const head of all("thead th", table)) head.setAttribute("role", "columnheader");
      for (const head of all("tbody th", table)) head.setAttribute("role", "rowheader");
    }
  };

  // Copy a text
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      announce("Copied");
      button.dataset.label ??= button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
    } catch {
      const details = source.closest("details");
      if (details) details.open = true;
      getSelection().selectAllChildren(source);
      announce("Selected; copy it with the keyboard");
    }
  };

  // Select rows
  const boxes = (name) => all(`tbody input[type="checkbox"][name="${name}"]`);
  const recount = () => {
    for (const label of all("[data-chosen]")) {
      const chosen = boxes(label.dataset.chosen).filter((box) => box.checked).length;
      label.textContent = chosen ? `${chosen} selected` : "";
    }
    for (const box of all("[data-all]")) {
      const own = boxes(box.dataset.all);
      const chosen = own.filter((one) => one.checked).length;
      box.checked = own.length > 0 && chosen === own.length;
      box.indeterminate = chosen > 0 && chosen < own.length;
    }
  };

  // Keys
  const rowLinks = () => all("[data-row] [data-open]").filter((link) => link.offsetParent !== null);
  const move = (step) => {
    const links = rowLinks();
    if (!links.length) return;
    const row = document.activeElement.closest("[data-row]");
    const at = links.findIndex((link) => row && row.contains(link));
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
    links[next].focus();
    links[next].scrollIntoView({ block: "nearest" });
  };
  const types = (element) => element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && types(event.target)) { event.target.blur(); return; }
    if (types(event.target) || document.querySelector("dialog[open]")) return;
    const find = document.getElementById("find");
    const row = document.activeElement.closest("[data-row]");
    const actions = {
      "/": () => find && find.focus(),
      "j": () => move(1),
      "k": () => move(-1),
      "x": () => {
        const box = row && row.querySelector('input[type="checkbox"]');
        if (box) { box.checked = !box.checked; recount(); }
      },
      "?": () => { const keys = document.getElementById("keys"); if (keys) keys.showModal(); },
    };
    if (Object.hasOwn(actions, event.key)) { event.preventDefault(); actions[event.key](); }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.hasAttribute("data-menu")) {
      const open = document.getElementById("side").classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
    }
    if (button.dataset.pause) {
      const part = button.dataset.pause;
      const now = !paused.has(part);
      if (now) paused.add(part); else paused.delete(part);
      button.setAttribute("aria-pressed", String(now));
      button.textContent = now ? "Resume" : "Pause";
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.dataset.all) {
      for (const box of boxes(event.target.dataset.all)) box.checked = event.target.checked;
    }
    recount();
  });
  // A form that was sent is not sent twice
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => { for (const form of all("form")) delete form.dataset.sent; });

  // Refreshing: not while the page is hidden, while text is selected, or while it is paused
  let seen = new Set();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const selecting = !getSelection().isCollapsed && event.target.contains(getSelection().anchorNode);
    const working = event.target.querySelector("details[open]") !== null;
    if (document.hidden || selecting || working || paused.has(event.target.id)) event.preventDefault();
    seen = new Set(all("[data-id]").map((row) => row.dataset.id));
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const row of all("tr[data-id]")) if (seen.size && !seen.has(row.dataset.id)) row.classList.add("fresh");
    roles();
    recount();
    freshen();
  });

  document.body.classList.remove("no-script");
  for (const part of all("button[data-copy][hidden], button[data-pause][hidden], input[data-all][hidden]")) part.hidden = false;
  const chosen = document.querySelector("#attempt");
  if (chosen && new URLSearchParams(location.search).has("attempt") && innerWidth < 900) chosen.scrollIntoView();
  roles();
  recount();
  freshen();
})();
