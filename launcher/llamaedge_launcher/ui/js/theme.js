// Light, dark, or as the system has it.

const NEXT = { system: "light", light: "dark", dark: "system" };
const NAMES = { system: "as the system has it", light: "light", dark: "dark" };

export const theme = () => document.documentElement.dataset.theme ?? "system";

export const themeLabel = () => `Colours: ${NAMES[theme()]}`;

export function nextTheme() {
  const next = NEXT[theme()];
  if (next === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
  }
}
