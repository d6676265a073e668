// Drawn on a field of 20 by 20, by strokes.

const SHAPES = {
  plus: "M10 4v12M4 10h12",
  search: "M9 15a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM13.5 13.5 17 17",
  menu: "M3 6h14M3 10h14M3 14h14",
  close: "M5 5l10 10M15 5 5 15",
  send: "M10 16V4M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  clip: "M15.5 9.5l-5.7 5.7a3.6 3.6 0 0 1-5-5l6-6a2.4 2.4 0 0 1 3.4 3.4l-6 6a1.2 1.2 0 0 1-1.7-1.7l5.3-5.3",
  copy: "M7 7h9v9H7zM4 13V4h9",
  check: "M4 10.5l4 4 8-9",
  again: "M16 10a6 6 0 1 1-1.8-4.3M16 3v3.5h-3.5",
  edit: "M4 16l.8-3.4L13 4.4a1.6 1.6 0 0 1 2.6 2.6L7.4 15.2z",
  more: "M4.500 10h1M9.500 10h1M14.500 10h1",
  pin: "M7 3h6l-1 5 3 3H5l3-3zM10 11v6",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6",
  forward: "M5 5l5 5-5 5M11 5l5 5-5 5",
  branch: "M6 4v12M6 12c0-4 8-2 8-6M14 6a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
  left: "M12 5l-5 5 5 5",
  right: "M8 5l5 5-5 5",
  down: "M5 8l5 5 5-5",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  pulse: "M2 10h4l2-5 4 10 2-5h4",
  theme: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  box: "M10 3l6 3.5v7L10 17l-6-3.5v-7zM4 6.5l6 3.5 6-3.5M10 10v7",
  save: "M10 3v10M6 9l4 4 4-4M4 16h12",
  open: "M10 13V3M6 7l4-4 4 4M4 16h12",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1 1-1.1 1.8M10 14.5h.01",
  file: "M6 3h5l4 4v10H6zM11 3v4h4",
  tool: "M12 4a4 4 0 0 0-3.6 5.6L4 14l2 2 4.4-4.4A4 4 0 0 0 16 8l-2.5 2L11 7.500z",
  thought: "M6 13a4 4 0 0 1 .3-8A4.500 4.500 0 0 1 15 6.500a3.300 3.300 0 0 1-.5 6.500zM6 16.500h.01",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}
