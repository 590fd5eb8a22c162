// Files dropped anywhere on the page.

import { byId } from "./dom.js";

/** Calls `onFiles` with what is dropped, while `isOpen()` says that the page takes files. */
export function wireDrop(isOpen, onFiles) {
  const drop = byId("drop");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files") && isOpen();
  const show = (visible) => (drop.hidden = !visible);
  addEventListener("dragenter", (event) => hasFiles(event) && show(++depth > 0));
  addEventListener("dragleave", (event) => hasFiles(event) && show(--depth > 0));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    onFiles([...event.dataTransfer.files]);
  });
}
