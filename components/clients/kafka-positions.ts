import type { Admin, Consumer } from "kafkajs";

/** A partition, and the offset of the next message that the group is to be given. */
export interface Position {
  readonly partition: number;
  readonly offset: string;
}

export interface PositionsOptions {
  readonly admin: Admin;
  readonly consumer: Consumer;
  readonly groupId: string;
  readonly topic: string;
}

/** What the brokers say of a partition of which the group has committed nothing. */
const never = "-1";

/** Where the group stands in each partition of the topic; negative where it stands nowhere. */
export async function positionsOf({ admin, groupId, topic }: PositionsOptions): Promise<readonly Position[]> {
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
  return found?.partitions ?? [];
}

export const isMissing = ({ offset }: Position): boolean => offset.startsWith("-");

/**
 * Commits a position for each partition that has none, as a member of the group: the end of the topic for a group that is new,
 * the beginning of a partition that is new, or of which the group lost its place.
 */
export async function commitMissing(options: PositionsOptions, positions: readonly Position[]): Promise<void> {
  const { admin, consumer, topic } = options;
  const isNew = positions.every(({ offset }) => offset === never);
  const bounds = await admin.fetchTopicOffsets(topic);
  const missing = positions.filter(isMissing).flatMap(({ partition }) => {
    const bound = bounds.find((one) => one.partition === partition);
    return bound === undefined ? [] : [{ topic, partition, offset: isNew ? bound.high : bound.low }];
  });
  await consumer.commitOffsets(missing);
}
