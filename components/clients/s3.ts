import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { CallContext, OpenContext } from "../component.ts";
import { onceReady } from "./once-ready.ts";
import { isAbsent, s3Failure } from "./s3-failure.ts";
import type { S3Settings } from "./s3-settings.ts";
import { ServerWatch } from "./server-watch.ts";
import { tlsFilesOf } from "./tls-settings.ts";
import { withinCall } from "./within-call.ts";

/** All of the AWS client that is used, since it is loaded late. */
export type AwsS3 = Pick<
  typeof import("@aws-sdk/client-s3"),
  | "AbortMultipartUploadCommand"
  | "CompleteMultipartUploadCommand"
  | "CreateMultipartUploadCommand"
  | "DeleteObjectCommand"
  | "GetObjectCommand"
  | "HeadObjectCommand"
  | "ListObjectsV2Command"
  | "PutObjectCommand"
  | "UploadPartCommand"
>;

type S3Context = Pick<OpenContext, "name" | "log" | "reachability" | "secret">;
/** Sends one request with the client; `abortSignal` ends it. */
export type S3Request<Answer> = (client: S3Client, options: { readonly abortSignal: AbortSignal }) => Promise<Answer>;

/** A client of one bucket; rejects with a sentence that names the component when the bucket cannot be had. */
export async function openS3(settings: S3Settings, context: S3Context): Promise<S3Connection> {
  // Loaded here, so that only a sidecar with a component on S3 loads it.
  const aws = await import("@aws-sdk/client-s3");
  const client = new aws.S3Client(await optionsOf(settings, context));
  const connection = new S3Connection(client, aws, { settings, context });
  return onceReady(connection, connection.ready());
}

/** Requests to one bucket. Each is tried a few times before it fails, and is ended when its call ends. */
export class S3Connection implements AsyncDisposable {
  readonly aws: AwsS3;
  readonly settings: S3Settings;
  readonly name: string;
  readonly #client: S3Client;
  readonly #watch: ServerWatch;

  constructor(
    client: S3Client,
    aws: AwsS3,
    { settings, context }: { readonly settings: S3Settings; readonly context: S3Context },
  ) {
    const { name, log, reachability } = context;
    this.#client = client;
    this.aws = aws;
    this.settings = settings;
    this.name = name;
    const server = `the S3 of '${name}'`;
    const probe = (signal: AbortSignal): Promise<unknown> => this.request(this.#ask, { signal });
    this.#watch = new ServerWatch({ server, log, reachability, probe });
  }

  /** Resolves once the server has answered; rejects when it does not or refuses us. */
  async ready(): Promise<void> {
    const { connectTimeoutMs } = this.settings;
    const abortSignal = AbortSignal.timeout(connectTimeoutMs);
    try {
      await this.#ask(this.#client, { abortSignal });
    } catch (error) {
      const cause = abortSignal.aborted ? new Error(`no answer within ${connectTimeoutMs} ms`) : error;
      throw s3Failure(this.name, cause, "opening");
    }
  }

  /** Rejects with RuntimeError, or with the reason of the call when that ends. */
  async request<Answer>(send: S3Request<Answer>, call: Pick<CallContext, "signal">): Promise<Answer> {
    try {
      return await this.#send(send, call);
    } catch (error) {
      throw this.failed(error, call);
    }
  }

  /** A request that asks for one object; undefined when there is none of the name. */
  async find<Answer>(send: S3Request<Answer>, call: Pick<CallContext, "signal">): Promise<Answer | undefined> {
    try {
      return await this.#send(send, call);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw this.failed(error, call);
    }
  }

  /** What to throw for an error of the client; the server is asked whether it is still there. */
  failed(error: unknown, { signal }: Pick<CallContext, "signal">): unknown {
    if (signal.aborted) return signal.reason;
    const failure = s3Failure(this.name, error);
    if (failure.code === "UNAVAILABLE") this.#watch.suspect();
    return failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    this.#client.destroy();
  }

  async #send<Answer>(send: S3Request<Answer>, call: Pick<CallContext, "signal">): Promise<Answer> {
    call.signal.throwIfAborted();
    // Not the signal of the call, which the client would listen to for as long as it reads the answer.
    const stop = new AbortController();
    const limits = { longestMs: this.settings.replyTimeoutMs, server: `the S3 of '${this.name}'` };
    try {
      return await withinCall(send(this.#client, { abortSignal: stop.signal }), call, limits);
    } catch (error) {
      stop.abort();
      throw error;
    }
  }

  /** The cheapest that shows whether we may use the bucket. */
  readonly #ask: S3Request<unknown> = (client, options) => {
    const { bucket, prefix } = this.settings;
    return client.send(new this.aws.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }), options);
  };
}

const silent = (): void => undefined;

async function optionsOf(settings: S3Settings, { name, secret }: S3Context): Promise<S3ClientConfig> {
  const { endpoint, pathStyle, region, credentials, tls, maxConnections, connectTimeoutMs } = settings;
  const maxSockets = maxConnections;
  return {
    region,
    forcePathStyle: pathStyle ?? endpoint !== undefined,
    // Servers that speak like S3 do not all know the checksums; the signature covers what is sent.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 3,
    retryMode: "standard",
    // It would write to the console.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      // Whoever reads slowly may: waiting for the server has limits of its own.
      socketTimeout: 0,
      httpAgent: { keepAlive: true, maxSockets },
      httpsAgent: {
        keepAlive: true,
        maxSockets,
        ...(tls === undefined ? {} : await tlsFilesOf(tls, `the S3 of '${name}'`)),
      },
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === "default"
      ? {}
      : {
          credentials: {
            accessKeyId: await secret(credentials.accessKeyId),
            secretAccessKey: await secret(credentials.secretAccessKey),
            ...(credentials.sessionToken === undefined ? {} : { sessionToken: await secret(credentials.sessionToken) }),
          },
        }),
  };
}
