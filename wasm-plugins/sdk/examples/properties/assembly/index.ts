// Tells what the host knows of a request, by the types it has it in; keeps a property for other filters; and writes an access
// log line of its own.
import { Action, decodeText, Filter, log, property, register, streamState } from "@outrigger/plugin";

const nanosecondsPerYear: f64 = 1e9 * 3600 * 24 * 365.25;

class Witness extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    // Another filter of this stream reads it as `witness.seen`.
    property.set("witness.seen", property.textOr("witness.seen", "") + "once;");
    streamState.setFilterState("witness", "was here");
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const headers = this.response.headers;
    headers.set("x-method", property.textOr("request.method", "?"));
    headers.set("x-source", property.textOr("source.address", "?"));
    headers.set("x-port", property.integer("destination.port").toString());
    headers.set("x-mtls", property.boolean("connection.mtls", true).toString());
    headers.set("x-agent", property.map("request.headers").getOr("user-agent", "?"));
    headers.set("x-year", (1970 + <i32>(<f64>property.time("request.time") / nanosecondsPerYear)).toString());
    headers.set("x-took", (property.duration("request.duration") > 0).toString());
    const route = property.bytes("route_name");
    headers.set("x-route", route === null ? "none" : decodeText(Uint8Array.wrap(route)));
    headers.set("x-unknown", property.textOr("no.such.thing", "none"));
    headers.set("x-seen", property.textOr("witness.seen", ""));
    headers.set("x-state", property.textOr("filter_state.witness", ""));
    return Action.Continue;
  }

  onLog(): void {
    const path = property.textOr("request.path", "?");
    const code = property.integer("response.code");
    log.info(path + " was answered with " + code.toString());
  }
}

register<Witness>();
