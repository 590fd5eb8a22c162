// Files that tools made, as plain data: which there are, what they may be called, which are pictures. Pure.

/** Shown in an <img> and nowhere else: there even an SVG neither runs nor loads anything. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"]);
const ID = /^[\w-]{1,128}$/;
/** Control characters, and those that turn the direction of text around: `gpj.exe` must not look like `exe.jpg`. */
const MISLEADING = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
const NAME_CHARS = 120;

/** The files of one step, or of many: each once, in order, only what can be asked for from this server. */
export function filesOf(...steps) {
  const found = new Map();
  for (const step of steps) {
    for (const file of Array.isArray(step?.files) ? step.files : []) {
      if (!ID.test(String(file?.id ?? "")) || found.has(file.id)) continue;
      const type = String(file.content_type ?? "").split(";")[0].trim().toLowerCase();
      found.set(file.id, { id: file.id, name: fileName(file.name), type, size: Number.isFinite(file.size) ? file.size : null });
    }
  }
  return [...found.values()];
}

/** A name to show and to save under: one line, no folders, nothing that misleads. */
export function fileName(name) {
  const plain = String(name ?? "").replace(/[\\/]/g, "_").replace(MISLEADING, "").replace(/\s+/g, " ").trim();
  if (plain.length <= NAME_CHARS) return plain || "file";
  const ending = /\.\w{1,8}$/.exec(plain)?.[0] ?? "";
  return `${plain.slice(0, NAME_CHARS - ending.length - 1)}…${ending}`;
}

export function isPicture(file) {
  return PICTURES.has(file.type);
}
