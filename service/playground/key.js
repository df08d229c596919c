// The field for an API key, which appears when the service asks for one.

const form = document.getElementById("key");
const field = document.getElementById("key-value");
let asked = null; // by all requests that wait

/** Resolves with a key once somebody has typed one; `why` is what the service said. */
export const askKey = (why) => {
  asked ??= new Promise((resolve) => {
    document.getElementById("key-why").textContent = why;
    form.hidden = false;
    field.focus();
    form.onsubmit = (event) => {
      event.preventDefault();
      form.hidden = true;
      asked = null;
      resolve(field.value.trim());
      field.value = "";
    };
  });
  return asked;
};
