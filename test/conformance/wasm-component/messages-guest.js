/** Keeps each message as the value of its subject. Of those that say so, the first try fails. */
import { open } from "wasi:keyvalue/store@0.2.0-draft2";

const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes) => String.fromCharCode(...bytes);

export const handler = {
  handleMessage({ subject, body, replyTo }) {
    const bucket = open("");
    const text = textOf(body);
    if (text.startsWith("fail once") && !bucket.exists(text)) {
      bucket.set(text, bytesOf("tried"));
      throw "not yet";
    }
    bucket.set(subject, bytesOf(JSON.stringify({ text, replyTo: replyTo ?? null })));
  },
};
