// Counts requests over all instances of the plugin, whoever else counts at the same time.
import { Action, Filter, log, register, sharedData, Status, StatusCode } from "@outrigger/plugin";

const key = "requests";
const tries = 10;

class Ledger extends Filter {
  onResponseHeaders(endOfStream: bool): Action {
    this.response.headers.set("x-total", add(1).toString());
    return Action.Continue;
  }
}

/** Adds to the number that is shared, and gives the new one; 0 when that failed. */
function add(count: i64): i64 {
  let written = new Status(StatusCode.Unavailable, "");
  for (let attempt = 0; attempt < tries; attempt++) {
    const current = sharedData.get(key);
    const total = (current === null ? 0 : I64.parseInt(current.text())) + count;
    // With its `cas` a value is written only over the one that was read; ABORTED means that somebody else was faster.
    written = sharedData.setText(key, total.toString(), current === null ? 0 : current.cas);
    if (written.ok) return total;
    if (written.code != StatusCode.Aborted) break;
  }
  log.warn(written.toString());
  return 0;
}

register<Ledger>();
