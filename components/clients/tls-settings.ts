import { readFile } from "node:fs/promises";
import { z } from "zod";
import { RuntimeError } from "../error.ts";
import { codeOf, messageOf } from "../thrown.ts";

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

/** Reads the files for a component; rejects with FAILED_PRECONDITION when one is not there or holds something else. */
export async function tlsFilesOf(tls: TlsSettings, owner: string): Promise<TlsFiles> {
  try {
    return await readTlsFiles(tls);
  } catch (error) {
    const why = messageOf(error);
    throw new RuntimeError("FAILED_PRECONDITION", "TLS_FILES_UNUSABLE", `${owner} cannot use its tls: ${why}`);
  }
}

/** Reads the files; rejects with a clause that names the one that is not there or holds something else. */
export async function readTlsFiles({ ca, cert, key, serverName }: TlsSettings): Promise<TlsFiles> {
  // Loaded here, so that only a component that speaks TLS loads it.
  const { createSecureContext } = await import("node:tls");
  const { X509Certificate } = await import("node:crypto");
  const read = async (setting: "ca" | "cert" | "key", path: string): Promise<Buffer> => {
    const text = await readFile(path).catch((error) => {
      throw new Error(`the file '${path}' of ${setting} cannot be read: ${error.code}`);
    });
    const what = setting === "key" ? "private key in PEM that needs no password" : "certificate in PEM";
    check(`the file '${path}' of ${setting} holds no ${what}`, () => {
      // TLS takes no notice of an authority that it cannot read.
      if (setting === "ca") createSecureContext({ cert: new X509Certificate(text).toString() });
      createSecureContext({ [setting]: text });
    });
    return text;
  };
  const files = {
    ...(ca === undefined ? {} : { ca: await read("ca", ca) }),
    ...(cert === undefined ? {} : { cert: await read("cert", cert) }),
    ...(key === undefined ? {} : { key: await read("key", key) }),
  };
  check(`the certificate in '${cert}' is not that of the private key in '${key}'`, () => createSecureContext(files));
  return { ...files, ...(serverName === undefined ? {} : { servername: serverName }) };
}

function check(mistake: string, use: () => unknown): void {
  try {
    use();
  } catch {
    // What OpenSSL says of it helps nobody: "PEM routines::no start line".
    throw new Error(mistake);
  }
}

/** Whether a connection failed since one side's certificate is not trusted by the other, or not under this name. */
export const isUntrusted = (error: unknown): boolean => certificateCode.test(codeOf(error) ?? "");

const certificateCode =
  /^(ERR_(TLS|SSL|OSSL)|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|INVALID_CA)/;
