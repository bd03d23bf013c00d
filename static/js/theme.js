// Loaded before the first paint, so that the page never flashes in the other theme.
(() => {
  "use strict";
  const KEY = "fustor-theme";
  // what the account says holds on every browser; a choice made here holds until the account says something else
  const account = document.documentElement.dataset.theme || "";
  const here = () => (localStorage.getItem(KEY + "-account") === account ? localStorage.getItem(KEY) : "");
  const wanted = () => here() || account || "auto";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    const theme = wanted() === "auto" ? (dark.matches ? "dark" : "light") : wanted();
    document.documentElement.setAttribute("data-bs-theme", theme);
  }

  window.fustorTheme = {
    toggle() {
      const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      localStorage.setItem(KEY, next);
      localStorage.setItem(KEY + "-account", account);
      apply();
    },
  };
  dark.addEventListener("change", apply);
  apply();
})();
