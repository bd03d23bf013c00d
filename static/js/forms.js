// Forms of objects: a field that means something only when another one has a certain value is shown only then; faults get the focus.
(() => {
  "use strict";
  function valueOf(form, name) {
    const input = form.elements.namedItem(name);
    return input && input.type === "checkbox" ? String(input.checked) : String(input ? input.value : "").toLowerCase();
  }
  function tidy(form) {
    for (const row of form.querySelectorAll("[data-when]")) {
      row.classList.toggle("is-idle", valueOf(form, row.dataset.when) !== row.dataset.equals && !row.classList.contains("has-fault"));
    }
  }
  const all = () => document.querySelectorAll(".object-form").forEach(tidy);
  document.addEventListener("change", all);
  document.addEventListener("htmx:load", all);
  all();
  // who sent a form with a fault goes on where the fault is
  const faulty = document.querySelector(".has-fault input, .has-fault select, .has-fault textarea");
  if (faulty) faulty.focus();
})();
