import { readFile } from "node:fs/promises";
import { z } from "zod";

const file = z.string().min(1);

/** `tls` of every component that connects to a server. Relative paths are those of the process. */
export const tlsSettings = z.strictObject({
  ca: file.optional().describe("File with the authorities to trust (PEM); default those of Node"),
  cert: file.optional().describe("File with the certificate to show (PEM)"),
  key: file.optional().describe("File with its private key (PEM)"),
  serverName: z.string().min(1).optional().describe("Name to ask for and to check; default the host's"),
});

export type TlsSettings = z.output<typeof tlsSettings>;

/** What `tls.connect` takes of them. */
export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
}

/** Reads the files; rejects as `readFile` does. */
export async function readTlsFiles({ ca, cert, key, serverName }: TlsSettings): Promise<TlsFiles> {
  return {
    ...(ca === undefined ? {} : { ca: await readFile(ca) }),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Whether a connection failed since one side's certificate is not trusted by the other, or not under this name. */
export const isUntrusted = (error: unknown): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && certificateCode.test(error.code);

const certificateCode =
  /^(ERR_(TLS|SSL|OSSL)|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|INVALID_CA)/;
