import { RuntimeError } from "../components/error.ts";
import { ownerOf } from "./admin/protect.ts";
import { createLifecycleService } from "./api/layotto/lifecycle-service.ts";
import { ConfigurationError } from "./config/mistake.ts";
import type { GrpcService } from "./grpc/service.ts";
import type { LiveConfiguration } from "./live-configuration.ts";

/** The Lifecycle service over the configuration that is in force, for whoever has a token. */
export function lifecycleOf(live: LiveConfiguration, tokens: ReadonlyMap<string, string>): GrpcService {
  return createLifecycleService({
    hasTokens: tokens.size > 0,
    owner: (authorization) => ownerOf(authorization, tokens),
    isConfigured: (kind, name) => live.current.components[kind].has(name),
    async apply(kind, name, settings) {
      try {
        await live.edit({ kind, name, settings });
      } catch (cause) {
        if (!(cause instanceof ConfigurationError)) throw cause;
        const mistakes = cause.mistakes.map(({ path, message }) => `${path}: ${message}`).join("; ");
        throw new RuntimeError("INVALID_ARGUMENT", "SETTINGS_REFUSED", mistakes, { cause });
      }
    },
  });
}
