// Reads, changes, removes and replaces fields of heads and trailers, in both directions.
import { Action, Filter, register } from "@outrigger/plugin";

class Editor extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    const headers = this.request.headers;
    headers.set("x-path-seen", headers.getOr(":path", "/"));
    headers.add("x-added", "first");
    headers.add("x-added", "second");
    headers.remove("x-secret");
    headers.set("x-cookies", this.countCookies().toString());
    return Action.Continue;
  }

  /** A cursor looks through all fields and makes strings of none but those it is asked for. */
  private countCookies(): i32 {
    const fields = this.request.headers.cursor();
    let cookies = 0;
    while (fields.next()) if (fields.nameIs("cookie")) cookies += fields.value.split(";").length;
    return cookies;
  }

  onRequestTrailers(): Action {
    this.request.trailers.set("x-request-sum", this.request.trailers.getOr("x-sum", "none"));
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    // `all` gives a copy to work on, `replaceAll` puts it in place of every field at once.
    const kept = this.response.headers.all().remove("x-internal-node").set("x-edited", "yes");
    if (!this.response.headers.replaceAll(kept)) return Action.Continue;
    this.response.headers.set("x-size", this.response.headers.byteSize.toString());
    return Action.Continue;
  }

  onResponseTrailers(): Action {
    this.response.trailers.remove("x-internal-sum");
    this.response.trailers.add("x-response-sum", "seen");
    return Action.Continue;
  }
}

register<Editor>();
