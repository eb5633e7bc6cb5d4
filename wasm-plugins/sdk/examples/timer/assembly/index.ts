// Asks an upstream at every tick, so that requests find its answer without waiting.
import { Action, FilterOf, http, HttpRequest, log, Plugin, register } from "@outrigger/plugin";

const periodMs: u32 = 50;

class Weather extends Plugin {
  now: string = "unknown";
  ticks: i32 = 0;

  onConfigure(configuration: Uint8Array): bool {
    this.tickEvery(periodMs);
    return true;
  }

  onTick(): void {
    this.ticks++;
    const sent = http.call<Weather>("weather", new HttpRequest("GET", "/now"), this, (self, answer) => {
      if (answer.ok) self.now = answer.text();
    });
    if (!sent.ok) {
      log.error(sent.toString());
      this.tickEvery(0); // asking again would not help
    }
  }
}

class Reporter extends FilterOf<Weather> {
  onResponseHeaders(endOfStream: bool): Action {
    this.response.headers.set("x-weather", this.plugin.now);
    this.response.headers.set("x-ticks", this.plugin.ticks.toString());
    return Action.Continue;
  }
}

register<Reporter>();
