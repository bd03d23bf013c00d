// Makes or proves a passkey with the options that the page carries, and sends the form with the browser's answer.
(() => {
  "use strict";
  const api = window.PublicKeyCredential;
  const able = api && api.parseRequestOptionsFromJSON && api.parseCreationOptionsFromJSON;

  async function answer(kind, options) {
    if (kind === "create") {
      return navigator.credentials.create({ publicKey: api.parseCreationOptionsFromJSON(options.publicKey) });
    }
    return navigator.credentials.get({ publicKey: api.parseRequestOptionsFromJSON(options.publicKey) });
  }

  for (const button of document.querySelectorAll("[data-passkey]")) {
    const trouble = document.getElementById("passkey-trouble");
    button.addEventListener("click", async () => {
      trouble.textContent = able ? "" : trouble.dataset.tooOld;
      if (!able) return;
      const options = JSON.parse(document.getElementById("passkey-options").textContent);
      try {
        const credential = await answer(button.dataset.passkey, options);
        document.getElementById(button.dataset.into).value = JSON.stringify(credential);
        button.form.submit();
      } catch {
        trouble.textContent = trouble.dataset.refused;
      }
    });
  }
})();
