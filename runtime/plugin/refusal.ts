import type { PluginArtifact } from "./artifact.ts";
import { type Grants, isHeldByGrants } from "./grants.ts";
import type { DeployOptions } from "./operations.ts";
import type { PluginError } from "./plugin-error.ts";

export interface Refusal {
  readonly error: PluginError;
  readonly artifact: PluginArtifact | undefined;
  readonly options: DeployOptions;
  readonly lacksGrants: boolean;
  /** Something that it needs of the sidecar was not there. */
  readonly lacksParts: boolean;
}

export interface RefusalTerms {
  /** As they are now. */
  readonly grants: () => Grants;
  /** Deploys once more what was refused. */
  readonly deployAgain: (artifact: PluginArtifact, options: DeployOptions) => void;
}

/** Why what was meant for a plugin's name was refused last, until something runs under it. */
export class LastRefusal {
  readonly #terms: RefusalTerms;
  #refusal: Refusal | undefined;

  constructor(terms: RefusalTerms) {
    this.#terms = terms;
  }

  get current(): Refusal | undefined {
    return this.#refusal;
  }

  /** Without an artifact it is nothing that could be tried again. */
  remember(error: PluginError, artifact?: PluginArtifact, options: DeployOptions = {}, lacksParts = false): void {
    const lacksGrants = artifact !== undefined && isHeldByGrants(artifact.manifest, this.#terms.grants());
    this.#refusal = { error, artifact, options, lacksGrants, lacksParts };
  }

  forget(): void {
    this.#refusal = undefined;
  }

  /** Tries again what was refused when the reason may be gone. */
  retry(mayPass: (refusal: Refusal) => boolean): void {
    const refusal = this.#refusal;
    if (refusal?.artifact === undefined || !mayPass(refusal)) return;
    this.#terms.deployAgain(refusal.artifact, refusal.options);
  }
}
