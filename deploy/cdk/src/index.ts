export { FunctionSource } from "./function-source";
export { RotationSettings } from "./generated/settings";
export { RotateWithKeywheel, RotateWithKeywheelProps } from "./rotate-with-keywheel";
export {
    RotateOptions,
    RotationEngine,
    RotationFunction,
    RotationFunctionProps,
    RotationStrategy,
} from "./rotation-function";
