// Behaviour of every page: menu, theme, relative times, keyboard, copying, dismissing. No library needed.
(() => {
  "use strict";
  const lang = document.documentElement.lang || "en";

  // ---- relative times -------------------------------------------------------------------------
  const steps = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [31536000, 86400, "day"], [Infinity, 31536000, "year"]];
  const format = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "short" });

  function words(seconds) {
    if (Math.abs(seconds) < 1) return format.format(0, "second").replace("in ", "");
    const [, unit, name] = steps.find(([limit]) => Math.abs(seconds) < limit);
    return format.format(Math.trunc(seconds / unit), name);
  }

  // the server's clock counts, whatever the clock of this machine says
  const skew = new Date(document.body.dataset.now).getTime() - Date.now();

  function tick() {
    const now = Date.now() + skew;
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const seconds = (new Date(time.dateTime).getTime() - now) / 1000;
      if (Math.abs(seconds) >= 5) time.textContent = words(seconds);
    }
  }
  setInterval(tick, 5000);

  // ---- clicks ---------------------------------------------------------------------------------
  const actions = {
    theme: () => window.fustorTheme.toggle(),
    menu: (button) => {
      const open = document.getElementById("menu").classList.toggle("show");
      button.setAttribute("aria-expanded", String(open));
    },
    copy: async (button) => {
      await navigator.clipboard.writeText(button.dataset.text);
      announce(button.dataset.done || "Copied");
    },
    shortcuts: () => document.getElementById("shortcuts").showModal(),
    ask: (button) => document.getElementById(button.dataset.dialog).showModal(),
    close: (button) => button.closest("dialog").close(),
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (button && actions[button.dataset.action]) actions[button.dataset.action](button);
  });

  function announce(text) {
    const region = document.getElementById("announcer");
    region.textContent = "";
    requestAnimationFrame(() => { region.textContent = text; region.classList.add("shown"); });
    setTimeout(() => region.classList.remove("shown"), 2500);
  }
  window.fustorAnnounce = announce;

  // ---- menus made of <details>: close on Escape and on a click elsewhere ------------------------
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.dropdown[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // ---- keyboard: / search, ? help, g + letter -----------------------------------------------------
  let gPressed = 0;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of document.querySelectorAll("details.dropdown[open]")) menu.open = false;
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (Date.now() - gPressed < 1200) {
      gPressed = 0;
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
      return;
    }
    if (event.key === "g") gPressed = Date.now();
    if (event.key === "?") actions.shortcuts();
    if (event.key === "/") {
      const box = document.querySelector("[data-search]");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
    }
  });

  // ---- lists: choosing rows for an order -----------------------------------------------------------
  const bulk = document.getElementById("bulk");
  if (bulk) {
    const boxes = () => [...document.querySelectorAll('input[name="pick"][form="bulk"]')];
    const every = document.querySelector("[data-pick-all]"), matching = bulk.querySelector("[data-pick-matching]");
    const told = bulk.querySelector("[data-picked]"), before = told.textContent;

    function choose() {
      const ticked = boxes().filter((box) => box.checked).length;
      every.checked = matching.checked || (ticked > 0 && ticked === boxes().length);
      every.indeterminate = !every.checked && ticked > 0;
      told.textContent = ticked && !matching.checked ? told.dataset.words.replace("{n}", ticked) : before;
      for (const box of boxes()) box.disabled = matching.checked;
    }
    document.addEventListener("change", (event) => {
      if (event.target === every) {
        matching.checked = false;
        for (const box of boxes()) box.checked = every.checked;
      }
      if (event.target === every || event.target === matching || event.target.name === "pick") choose();
    });
    choose();
  }

  // ---- bars: widths and shares come as data, since the policy allows no inline style --------------
  function bars(root) {
    for (const bar of root.querySelectorAll("[data-share]")) bar.style.width = `${bar.dataset.share}%`;
  }
  bars(document);
  document.addEventListener("htmx:load", (event) => bars(event.target.parentElement || document));
  document.addEventListener("fustor:swapped", (event) => bars(event.target));
})();
