// Allocates, walks and drops binary trees.
class Tree {
  left: Tree | null = null;
  right: Tree | null = null;
}

function grow(depth: i32): Tree {
  const tree = new Tree();
  if (depth > 0) {
    tree.left = grow(depth - 1);
    tree.right = grow(depth - 1);
  }
  return tree;
}

function size(tree: Tree | null): i32 {
  return tree === null ? 0 : 1 + size(tree.left) + size(tree.right);
}

export function trees(depth: i32): i32 {
  let nodes = 0;
  for (let i = 0; i < 8; i++) nodes += size(grow(depth));
  return nodes;
}
