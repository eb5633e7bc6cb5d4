/** Files on a server that speaks S3. */
import { startS3 } from "../support/s3-server.ts";
import { withServer } from "./matrix.ts";

await withServer("s3proxy", startS3, (server) => [
  {
    kind: "object",
    type: "s3",
    settings: () => {
      const { endpoint, bucket, credentials } = server();
      return { endpoint, bucket, credentials, prefix: "conformance/" };
    },
  },
]);
