// In the executable instead of the package: the SDK asks it what a browser calls itself, and nobody is a browser here.
exports.parse = () => {
  throw new Error("bowser is left out of the executable (dev/left-out)");
};
