/** Reads a value from the state store, keeps another there and answers with the first. */
import * as state from "outrigger:runtime/state@0.1.0";

const kept = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const headers = [["content-type", "application/octet-stream"]];

export const handler = {
  handle(request) {
    const found = state.get("inventory", request.path);
    state.set("inventory", request.path, kept);
    return { status: 200, headers, body: found?.value ?? kept };
  },
};
