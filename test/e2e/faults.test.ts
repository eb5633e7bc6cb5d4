/** A server that is killed and comes back loses nothing that was acknowledged: a small run, of which test/full has the long one. */
import { faultTests } from "../support/fault-tests.ts";

faultTests(600);
