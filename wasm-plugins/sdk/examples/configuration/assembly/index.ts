// Takes a configuration of its VM, which all places in filter chains share, and one for each place; refuses what it cannot use.
import { Action, decodeText, FilterOf, log, LogLevel, parseJson, Plugin, register } from "@outrigger/plugin";

let court: string = "";

class Settings extends Plugin {
  greeting: string = "";

  /** `vmConfiguration` of the manifest. */
  onVmStart(configuration: Uint8Array): bool {
    court = decodeText(configuration);
    return court.length > 0;
  }

  /** What the route gives, else `configuration` of the manifest. */
  onConfigure(configuration: Uint8Array): bool {
    const greeting = this.greetingOf(configuration);
    if (greeting === null) return false; // what runs goes on; the deploy says why, by the last line in the log
    this.greeting = greeting;
    return true;
  }

  onValidate(configuration: Uint8Array): bool {
    return this.greetingOf(configuration) !== null;
  }

  private greetingOf(configuration: Uint8Array): string | null {
    const parsed = parseJson(decodeText(configuration));
    if (parsed.ok && parsed.value.get("greeting").isText) return parsed.value.get("greeting").text;
    log.error("configuration: 'greeting' must be a text");
    return null;
  }
}

class Greeter extends FilterOf<Settings> {
  onResponseHeaders(endOfStream: bool): Action {
    this.response.headers.add("x-greeting", this.plugin.greeting + " from " + court);
    // Ask before you build a costly message.
    if (log.level() == LogLevel.Trace) log.trace("greeted " + this.request.headers.all().length.toString() + " fields");
    return Action.Continue;
  }
}

register<Greeter>();
