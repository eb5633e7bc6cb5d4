// Lets requests pass whose body carries the signature of a known key, and signs responses. Keys are in the configuration.
import { Action, decodeText, encodeText, FilterOf, Key, log, parseJson, Plugin, register, signature } from "@outrigger/plugin";

const hash = "sha256";

class Keys extends Plugin {
  theirs: Key = Key.pem("");
  ours: Key = Key.pem("");

  onConfigure(configuration: Uint8Array): bool {
    const settings = parseJson(decodeText(configuration));
    if (!settings.ok || !settings.value.get("theirs").isText || !settings.value.get("ours").isText) {
      log.error("signatures: 'theirs' must be a public key and 'ours' a private one, as PEM");
      return false;
    }
    this.theirs = Key.pem(settings.value.get("theirs").text);
    this.ours = Key.pem(settings.value.get("ours").text);
    return true;
  }
}

class Notary extends FilterOf<Keys> {
  onRequestBody(size: i32, endOfStream: bool): Action {
    if (!endOfStream) return Action.Pause;
    const signed = fromHex(this.request.headers.getOr("x-signature", ""));
    const verified = signature.verify(hash, this.plugin.theirs, this.request.body.bytes(), signed);
    if (verified.ok) return Action.Continue;
    this.respondText(401, verified.toString() + "\n", "bad_signature");
    return Action.Pause;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const status = this.response.headers.getOr(":status", "");
    const signed = signature.sign(hash, this.plugin.ours, encodeText(status));
    if (signed.ok) this.response.headers.set("x-signature", toHex(signed.value));
    else log.error(signed.toString());
    return Action.Continue;
  }
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += bytes[i].toString(16).padStart(2, "0");
  return text;
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = <u8>parseInt(text.substring(i * 2, i * 2 + 2), 16);
  return bytes;
}

register<Notary>();
