// In the executable instead of the module: a protocol that neither S3 nor any source of credentials speaks. The SDK
// makes a class of it when it is loaded, and an object of that never.
exports.SmithyRpcV2CborProtocol = class {
  constructor() {
    throw new Error("CBOR is left out of the executable (dev/left-out)");
  }
};
exports.loadSmithyRpcV2CborErrorCode = () => undefined;
