import { Filter, Stream } from "./filter";
import { Plugin } from "./plugin";

/** How the contexts of one root are made. */
export abstract class Registration {
  abstract makeStream(): Stream;

  makePlugin(): Plugin {
    return this.makeStream().createPlugin();
  }
}

class RegistrationOf<S extends Stream> extends Registration {
  makeStream(): Stream {
    return instantiate<S>();
  }
}

const registrations = new Map<string, Registration>();

/**
 * Makes a filter or service known, in one line at the end of the entry file: `register<RateLimit>()`. `rootId` tells
 * several in one module apart: a manifest chooses by its `rootId`, Envoy's configuration by its `root_id`.
 */
export function register<S extends Stream>(rootId: string = ""): void {
  registrations.set(rootId, new RegistrationOf<S>());
}

class RootOf<P extends Plugin> extends Registration {
  makeStream(): Stream {
    return new Passing();
  }

  makePlugin(): Plugin {
    return instantiate<P>();
  }
}

/** What streams are of a plugin that does nothing to them. */
class Passing extends Filter {}

/**
 * Makes a plugin known that has no streams of its own: it works on timers, queues and calls. With `kind: service` in its manifest
 * it does so from its deploy on. Traffic of a route that names it passes as it is.
 */
export function registerRoot<P extends Plugin>(rootId: string = ""): void {
  registrations.set(rootId, new RootOf<P>());
}

/** The registration of a root id, or the only one there is. */
export function registrationOf(rootId: string): Registration {
  if (registrations.has(rootId)) return registrations.get(rootId);
  const known = registrations.keys();
  if (known.length == 1) return registrations.get(known[0]);
  throw new Error("nothing is registered as '" + rootId + "'; registered: '" + known.join("', '") + "'");
}
