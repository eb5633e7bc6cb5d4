// Lets one request after the other pass, at each tick one: what is held in a callback goes on from another, with the context of
// the stream in effect. Responses are held likewise until the next tick.
import { Action, FilterOf, Plugin, register } from "@outrigger/plugin";

const periodMs: u32 = 20;

class WaitingRoom extends Plugin {
  readonly requests: Guest[] = [];
  readonly responses: Guest[] = [];
  private passed: i32 = 0;

  onConfigure(configuration: Uint8Array): bool {
    this.tickEvery(periodMs);
    return true;
  }

  onTick(): void {
    const first = next(this.requests);
    if (first !== null) {
      first.use(); // hostcalls act on that stream until this callback ends
      first.request.headers.set("x-turn", (++this.passed).toString());
      first.request.resume();
    }
    for (let guest = next(this.responses); guest !== null; guest = next(this.responses)) {
      guest.use();
      guest.response.headers.set("x-held", "yes");
      guest.response.resume();
    }
  }
}

class Guest extends FilterOf<WaitingRoom> {
  onRequestHeaders(endOfStream: bool): Action {
    this.plugin.requests.push(this);
    return Action.Pause;
  }

  onResponseHeaders(endOfStream: bool): Action {
    this.plugin.responses.push(this);
    return Action.Pause;
  }
}

/** The longest waiting one whose client is still there. */
function next(waiting: Guest[]): Guest | null {
  while (waiting.length > 0) {
    const guest = waiting.shift();
    if (!guest.deleted) return guest;
  }
  return null;
}

register<Guest>();
