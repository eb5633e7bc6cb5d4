import { nkeys } from "nats";

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** What a NATS server with decentralised accounts needs: one operator with one account, and the credentials of its one user. */
export function operatorMode(): { readonly lines: readonly string[]; readonly credentials: string } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const accountLimits = { ...unlimited, conn: -1, leaf: -1, imports: -1, exports: -1, wildcards: true };
  const operatorJwt = signed(operator, operator, { type: "operator" });
  const accountJwt = signed(account, operator, { type: "account", limits: accountLimits });
  const userJwt = signed(user, account, { type: "user", pub: {}, sub: {}, ...unlimited });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    lines: [
      `operator: ${operatorJwt}`,
      "resolver: MEMORY",
      `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
    ],
    credentials: [
      "-----BEGIN NATS USER JWT-----",
      userJwt,
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      seed,
      "------END USER NKEY SEED------",
      "",
    ].join("\n"),
  };
}

/** What one says of another, as NATS signs it. */
function signed(subject: KeyPair, issuer: KeyPair, nats: Readonly<Record<string, unknown>>): string {
  const claims = {
    jti: subject.getPublicKey(),
    iat: Math.floor(Date.now() / 1_000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: "test",
    nats: { ...nats, version: 2 },
  };
  const parts = [{ typ: "JWT", alg: "ed25519-nkey" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const signature = issuer.sign(new TextEncoder().encode(parts.join(".")));
  return [...parts, Buffer.from(signature).toString("base64url")].join(".");
}
