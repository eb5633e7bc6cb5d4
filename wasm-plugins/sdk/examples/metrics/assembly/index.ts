// Counts answers by their status, the requests under way, and the sizes of bodies.
import { Action, Counter, Filter, Gauge, Histogram, property, register, tagged } from "@outrigger/plugin";

// A series is made known to the host when it is first used; there is one object for each, not one for each stream.
const underway = new Gauge("census_underway");
const sizes = new Histogram("census_response_bytes");
const byStatus = new Map<string, Counter>();

function counterOf(status: string): Counter {
  if (!byStatus.has(status)) byStatus.set(status, new Counter(tagged("census_answers", "status", status)));
  return byStatus.get(status);
}

class Census extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    underway.add(1);
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const counter = counterOf(this.response.headers.getOr(":status", "0"));
    counter.increment();
    this.response.headers.set("x-answers", counter.value.toString());
    this.response.headers.set("x-underway", underway.value.toString());
    return Action.Continue;
  }

  onLog(): void {
    underway.add(-1);
    sizes.record(property.integer("response.size"));
  }
}

register<Census>();
