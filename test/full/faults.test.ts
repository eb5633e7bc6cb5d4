/** A server that is killed and comes back loses nothing that was acknowledged. */
import { faultTests } from "../support/fault-tests.ts";

faultTests(10_000);
