import { z } from "zod";
import type { Credentials } from "./docker-credentials.ts";
import { type Answer, ask, type Question, type Transport } from "./http-get.ts";
import { SourceError } from "./source-error.ts";

/** What a host asks for with 401. */
type Challenge =
  | { readonly scheme: "basic" }
  | {
      readonly scheme: "bearer";
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

const maxTokenBytes = 64 * 1024;
const tokenAnswer = z.object({ token: z.string().optional(), access_token: z.string().optional() });
/** RFC 6750, section 2.1. */
const tokenPattern = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * A host that is asked for several things in a row, and signs the sidecar in when it wants that: with a token, also an
 * anonymous one, or with a user and a password.
 */
export class SignedInHost {
  readonly #transport: Transport;
  readonly #credentials: () => Promise<Credentials | undefined>;
  readonly #scope: string | undefined;
  #authorization: string | undefined;
  /** Whether there were credentials. */
  #isKnown = false;

  /** `scope` is asked for where the host names none; `credentials` are looked up only when the host asks for some. */
  constructor(
    transport: Transport,
    credentials: () => Promise<Credentials | undefined>,
    scope: string | undefined = undefined,
  ) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#scope = scope;
  }

  /** Throws SourceError when the host wants credentials that there are not, or does not accept them. */
  async get(question: Omit<Question, "authorization" | "form">): Promise<Answer> {
    const answer = await ask(this.#transport, { ...question, authorization: this.#authorization });
    if (answer.status !== 401 || answer.url.origin !== question.url.origin) return this.#permitted(answer);
    this.#authorization = await this.#signIn(answer, challengeOf(answer));
    return this.#permitted(await ask(this.#transport, { ...question, authorization: this.#authorization }));
  }

  #permitted(answer: Answer): Answer {
    if (answer.status !== 401 && answer.status !== 403) return answer;
    const { host } = answer.url;
    throw new SourceError(
      this.#isKnown
        ? `${host} does not accept the credentials that the credential file has for it (${answer.status})`
        : `${host} asks for credentials (${answer.status}), and the credential file has none for it`,
    );
  }

  async #signIn(answer: Answer, challenge: Challenge): Promise<string | undefined> {
    const credentials = await this.#credentials();
    this.#isKnown = credentials !== undefined;
    if (credentials?.kind === "bearer") return `Bearer ${checked(credentials.token, answer.url.host)}`;
    if (challenge.scheme === "bearer") return `Bearer ${await this.#token(answer.url, challenge, credentials)}`;
    return credentials?.kind === "password" ? basic(credentials) : undefined;
  }

  /** https://distribution.github.io/distribution/spec/auth/token/ and, with an identity token, …/auth/oauth/. */
  async #token(
    from: URL,
    { realm, service, scope = this.#scope }: Extract<Challenge, { scheme: "bearer" }>,
    credentials: Exclude<Credentials, { kind: "bearer" }> | undefined,
  ): Promise<string> {
    if (!URL.canParse(realm)) throw new SourceError(`${from.host} asks for a token of a realm that is not a URL`);
    const url = new URL(realm);
    url.username = "";
    url.password = "";
    const wanted = new URLSearchParams({
      ...(service !== undefined && { service }),
      ...(scope !== undefined && { scope }),
    });
    let question: Question = { url, maxBytes: maxTokenBytes };
    if (credentials?.kind === "identity") {
      const grant = { grant_type: "refresh_token", client_id: "outrigger", refresh_token: credentials.token };
      question = { ...question, form: new URLSearchParams({ ...Object.fromEntries(wanted), ...grant }) };
    } else {
      for (const [name, value] of wanted) url.searchParams.set(name, value);
      question = { ...question, authorization: credentials === undefined ? undefined : basic(credentials) };
    }
    const { status, body } = await ask(this.#transport, question);
    if (status !== 200) {
      const who = credentials === undefined ? "to nobody" : "to these credentials";
      throw new SourceError(`${url.host} gives no token ${who} (${status})`);
    }
    const { data } = tokenAnswer.safeParse(parsed(body));
    return checked(data?.token ?? data?.access_token ?? "", url.host);
  }
}

function challengeOf({ url, headers }: Answer): Challenge {
  const header = headers["www-authenticate"] ?? "";
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/i.exec(header)?.[1];
  if (bearer === undefined) {
    if (/(?:^|,)\s*basic\b/i.test(header)) return { scheme: "basic" };
    throw new SourceError(
      `${url.host} asks for credentials in a way that is not spoken here; expected Basic or Bearer`,
    );
  }
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, plain = ""] of bearer.matchAll(/([a-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))/gi)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), quoted ?? plain);
  }
  const [realm = "", service, scope] = ["realm", "service", "scope"].map((name) => parameters.get(name));
  return { scheme: "bearer", realm, service, scope };
}

const basic = ({ username, password }: Extract<Credentials, { kind: "password" }>): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

function checked(token: string, host: string): string {
  if (tokenPattern.test(token)) return token;
  throw new SourceError(`the token for ${host} is not one that can be sent`);
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return undefined;
  }
}
