// Loaded before the first paint, so that the page never flashes in the other theme.
(() => {
  "use strict";
  const KEY = "fustor-theme";
  const wanted = () => localStorage.getItem(KEY) || "auto";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    const theme = wanted() === "auto" ? (dark.matches ? "dark" : "light") : wanted();
    document.documentElement.setAttribute("data-bs-theme", theme);
  }

  window.fustorTheme = {
    toggle() {
      const next = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      localStorage.setItem(KEY, next);
      apply();
    },
  };
  dark.addEventListener("change", apply);
  apply();
})();
