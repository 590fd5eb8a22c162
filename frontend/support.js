// What the server found when it compared an answer with the documents it cites. Pure.

import { count } from "./format.js";

/** `{status, text, hint}` for the line under an answer, or null where there is nothing to say. */
export function supportNote(support, citations = []) {
  const status = support?.status;
  const cited = citations.filter((each) => each.kind !== "web").length;
  const dropped = Number(support?.dropped) || 0;
  const lost = dropped ? ` ${count(dropped, "quotation")} that ${dropped === 1 ? "does" : "do"} not stand there ${dropped === 1 ? "was" : "were"} left out.` : "";
  const hint = typeof support?.reason === "string" ? support.reason : "";
  if (status === "supported") return { status, text: `Checked against your documents: ${count(cited, "citation")}.${lost}`, hint };
  if (status === "partial") return { status, text: `Only partly supported by your documents.${lost}`, hint };
  if (status === "unsupported") return { status, text: `No passage of your documents supports this answer.${lost}`, hint };
  return null;
}
