import { Stream } from "./filter";
import { Plugin } from "./plugin";

/** How the contexts of one root are made. */
export abstract class Registration {
  abstract makePlugin(): Plugin;
  abstract makeStream(): Stream;
}

class RegistrationOf<S extends Stream, P extends Plugin> extends Registration {
  makePlugin(): Plugin {
    return instantiate<P>();
  }
  makeStream(): Stream {
    return instantiate<S>();
  }
}

const registrations = new Map<string, Registration>();

/**
 * Makes a filter or service known, in one line at the end of the entry file: `register<RateLimit, Limits>()`, or
 * `register<Greeter>()` for one without a plugin class. `rootId` tells several in one module apart.
 */
export function register<S extends Stream, P extends Plugin = Plugin>(rootId: string = ""): void {
  registrations.set(rootId, new RegistrationOf<S, P>());
}

/** The registration of a root id, or the only one there is. */
export function registrationOf(rootId: string): Registration {
  if (registrations.has(rootId)) return registrations.get(rootId);
  const known = registrations.keys();
  if (known.length == 1) return registrations.get(known[0]);
  throw new Error("nothing is registered as '" + rootId + "'; registered: '" + known.join("', '") + "'");
}
