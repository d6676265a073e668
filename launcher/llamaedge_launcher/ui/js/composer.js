// Where questions are written, and files attached.

import { find, h, say, sizeText, toast } from "./dom.js";
import { forget, isPicture, readPicture, readText, temporary } from "./files.js";
import { icon } from "./icons.js";
import { model, on, state } from "./state.js";

/** Where fingers write there is no Shift to begin a line with, and Send is near. */
const TOUCHED = matchMedia("(hover: none) and (pointer: coarse)");

export class Composer {
  #form = find("composer");
  #field = find("question");
  #button = find("send");
  #list = find("attached");
  #input = find("files");
  #attached = [];

  /** `send` gets a text and {files, pictures}; `stop` ends the answer under way. */
  constructor({ send, stop, editLast }) {
    this.send = send;
    this.stop = stop;
    find("attach").append(icon("clip"));
    find("attach").addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => { this.attach([...this.#input.files]); this.#input.value = ""; });
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    this.#field.addEventListener("input", () => this.#fit());
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !TOUCHED.matches) {
        event.preventDefault();
        this.#enter();
      }
      if (event.key === "ArrowUp" && !this.#field.value) { event.preventDefault(); editLast(); }
    });
    this.#field.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files];
      if (files.length) { event.preventDefault(); this.attach(files); }
    });
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => { event.preventDefault(); this.attach([...event.dataTransfer.files]); });
    on("path", () => this.refresh());
    this.refresh();
  }

  focus() {
    this.#field.focus();
  }

  write(text) {
    this.#field.value = text;
    this.#fit();
  }

  refresh() {
    const live = this.#live;
    this.#button.classList.toggle("stops", live);
    this.#button.setAttribute("aria-label", live ? "Stop the answer" : "Send");
    this.#button.replaceChildren(icon(live ? "stop" : "send"));
  }

  async attach(files) {
    await Promise.all(files.map((file) => this.#attachOne(file)));
  }

  async #attachOne(file) {
    const item = { ...temporary(file.name), size: file.size, ready: null, controller: new AbortController() };
    if (isPicture(file) && !model()?.capabilities.includes("vision")) {
      toast(`The model sees no pictures, so ${file.name} was left out. Choose a model that does.`);
      return;
    }
    this.#attached.push(item);
    this.#show();
    try {
      item.ready = isPicture(file) ? { picture: await readPicture(file) } : { file: await readText(file, item.controller.signal) };
      say(`${file.name} is attached.`);
    } catch (error) {
      this.#attached = this.#attached.filter((each) => each !== item);
      if (error.name !== "AbortError") toast(error.message);
    }
    this.#show();
  }

  #remove(item) {
    this.#attached = this.#attached.filter((each) => each !== item);
    item.controller.abort();
    if (item.ready?.file) forget(item.ready.file).catch((error) => toast(error.message));
    this.#show();
    this.focus();
  }

  #show() {
    this.#list.hidden = this.#attached.length === 0;
    this.#list.replaceChildren(...this.#attached.map((item) => h("span", { class: "chip" },
      item.ready?.picture ? h("img", { src: item.ready.picture.url, alt: "" }) : icon("file"),
      item.name, h("small", {}, item.ready ? sizeText(item.size) : "reading…"),
      h("button", { type: "button", class: "icon-button small", "aria-label": `Remove ${item.name}`, onclick: () => this.#remove(item) }, icon("close")))));
  }

  get #live() {
    return Boolean(state.conversation && state.live.has(state.conversation.record.id));
  }

  /** A question that is written before the answer has ended waits in its field. */
  #enter() {
    if (!this.#live) this.#submit();
    else if (this.#field.value.trim()) toast("The answer is still coming. Send when it has ended, or press Escape to stop it.");
  }

  #submit() {
    if (this.#live) {
      this.stop();
      return;
    }
    const text = this.#field.value.trim();
    if (!text) {
      if (this.#attached.length) toast("Write what you would like to know about it.");
      return;
    }
    if (this.#attached.some((item) => !item.ready)) {
      toast("A file is still being read. Send again in a moment.");
      return;
    }
    const files = this.#attached.map((item) => item.ready.file).filter(Boolean);
    const pictures = this.#attached.map((item) => item.ready.picture).filter(Boolean);
    this.#attached = [];
    this.#show();
    this.write("");
    this.send(text, { files, pictures });
  }

  #fit() {
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(this.#field.scrollHeight, innerHeight * 0.4)}px`;
  }
}
