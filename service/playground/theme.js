// Light or dark, before the first paint: what was chosen here before, else what the system prefers.
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const remembered = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is switched off
    }
  };

  const show = () => {
    const dark = (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    const button = document.getElementById("theme");
    if (button) button.textContent = dark ? "Light" : "Dark";
    return dark;
  };

  const change = () => {
    show();
    root.dispatchEvent(new Event("themechange"));
  };

  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();

  document.addEventListener("DOMContentLoaded", () => {
    show();
    system.addEventListener("change", change);
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = show() ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {
        // then it holds until the page is left
      }
      change();
    });
  });
}
