import { readFileSync } from "node:fs";
import type { Authenticator } from "nats";
import type { OpenContext } from "../component.ts";
import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";
import type { NatsSettings } from "./nats-settings.ts";

/** How the client shows who it is. Once `closing` it throws, which keeps an attempt to connect from succeeding late. */
export async function natsAuthenticator(
  nats: typeof import("nats"),
  settings: NatsSettings,
  { name, secret, closing }: Pick<OpenContext, "name" | "secret"> & { readonly closing: AbortSignal },
): Promise<Authenticator> {
  const show = await authenticatorOf(nats, settings, { name, secret });
  return (nonce) => {
    closing.throwIfAborted();
    return show?.(nonce);
  };
}

async function authenticatorOf(
  nats: typeof import("nats"),
  { username, password, token, nkeySeed, credentialsFile }: NatsSettings,
  { name, secret }: Pick<OpenContext, "name" | "secret">,
): Promise<Authenticator | undefined> {
  const given = [username, token, nkeySeed, credentialsFile].filter((one) => one !== undefined);
  if (given.length > 1 || (password !== undefined && username === undefined)) {
    const message = `'${name}' needs one way to log in to NATS: username with password, token, nkeySeed or credentialsFile`;
    throw new RuntimeError("INVALID_ARGUMENT", "NATS_BAD_CREDENTIALS", message);
  }
  if (username !== undefined) {
    return nats.usernamePasswordAuthenticator(username, password === undefined ? "" : await secret(password));
  }
  if (token !== undefined) return nats.tokenAuthenticator(await secret(token));
  if (nkeySeed !== undefined) {
    const seed = new TextEncoder().encode(await secret(nkeySeed));
    return checked(nats.nkeyAuthenticator(seed), `the nkeySeed of '${name}' is not a seed of a user (SU...)`);
  }
  if (credentialsFile === undefined) return undefined;
  const credentials = credentialsReader(name, credentialsFile);
  return checked(
    nats.credsAuthenticator(credentials),
    `the credentialsFile of '${name}', ${credentialsFile}, holds no JWT and seed`,
  );
}

/** Has it sign once, since what it throws later would be the end of the client. */
function checked(authenticator: Authenticator, fault: string): Authenticator {
  try {
    authenticator("nonce");
    return authenticator;
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError("INVALID_ARGUMENT", "NATS_BAD_CREDENTIALS", fault);
  }
}

/** Gives what the file holds, or held when it could be read last. */
function credentialsReader(name: string, path: string): () => Uint8Array {
  let last: Uint8Array | undefined;
  return () => {
    try {
      last = readFileSync(path);
    } catch (error) {
      const message = `the credentialsFile of '${name}' cannot be read: ${messageOf(error)}`;
      if (last === undefined) throw new RuntimeError("FAILED_PRECONDITION", "NATS_BAD_CREDENTIALS", message);
    }
    return last;
  };
}
