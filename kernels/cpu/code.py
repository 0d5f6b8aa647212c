"""Turn a Python function that emits LLVM instructions into a function that kernels can call; loops
and branches for such functions.

`builder` is an `llvmlite.ir.IRBuilder`, pointers and integers are LLVM values; offsets and strides
count floats.
"""

import functools
import inspect

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..emit import F32, I64, at, load


def vector_code(body=None, *, once=None):
    """Decorator: make `body(builder, *operands)` callable from kernels.

    Arrays are passed as pointers to their first element, integers as 64-bit values, real numbers as
    float32 values. The call returns nothing; results are written to memory.

    once: None emits the code inline at every call, where the caller's constants simplify it. A
    unique name emits one function that LLVM does not inline, so long code with several callers is
    compiled once.
    """
    if body is None:
        return functools.partial(vector_code, once=once)

    def typing(typing_context, *argument_types):
        def generate(context, builder, signature, arguments):
            operands = [
                _operand(context, builder, type_, value)
                for type_, value in zip(signature.args, arguments, strict=True)
            ]
            if once is None:
                body(builder, *operands)
            else:
                call_once(builder, once, ir.VoidType(), body, operands)
            return context.get_dummy_value()

        return types.void(*argument_types), generate

    typing.__name__ = typing.__qualname__ = body.__name__
    typing.__signature__ = inspect.signature(body)  # Numba wants the parameters by name
    typing.__doc__ = body.__doc__
    return intrinsic(typing)


def call_once(builder, name, returned, body, operands):
    """Call `body(builder, *operands)` as a function of the module. The first call emits it; LLVM
    does not inline it. The linker merges the copies of several modules.

    name: unique for each body. returned: LLVM type of the result of `body`; void for None.
    """
    name = f"fastsnn.{name}"
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(returned, [operand.type for operand in operands])
        function = ir.Function(builder.module, kind, name)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        result = body(inside, *function.args)
        inside.ret_void() if result is None else inside.ret(result)
    return builder.call(function, operands)


def switch(builder, key, cases):
    """Emit a switch on the 64-bit integer `key`. cases: {number: function that emits the case};
    other keys do nothing.
    """
    done = builder.append_basic_block("done")
    choice = builder.switch(key, done)
    for number, emit in cases.items():
        block = builder.append_basic_block("case")
        choice.add_case(I64(number), block)
        builder.position_at_end(block)
        emit()
        builder.branch(done)
    builder.position_at_end(done)


def _operand(context, builder, type_, value):
    if isinstance(type_, types.Array):
        return cgutils.create_struct_proxy(type_)(context, builder, value).data
    if isinstance(type_, types.Integer | types.Boolean):
        return context.cast(builder, value, type_, types.int64)
    return context.cast(builder, value, type_, types.float32)


def fold(builder, count, carried, body, short=False):
    """Emit a loop i = 0 .. count - 1 with loop-carried values: `body(i, carried) -> carried`.
    Returns the final values.

    carried: list of LLVM values, kept in registers (phi nodes). short: the loop has few iterations,
    so LLVM must neither unroll nor vectorize it.
    """
    count = I64(count) if isinstance(count, int) else count
    before = builder.basic_block
    loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, I64(0)), loop, done)
    builder.position_at_end(loop)
    i = builder.phi(I64)
    phis = [builder.phi(value.type) for value in carried]
    new = body(i, list(phis))
    after = builder.basic_block
    following = builder.add(i, I64(1))
    for phi, first, next_ in zip([i, *phis], [I64(0), *carried], [following, *new], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, after)
    back = builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    if short:
        back.set_metadata("llvm.loop", _as_written(builder.module))
    builder.position_at_end(done)
    last = []
    for first, value in zip(carried, new, strict=True):
        phi = builder.phi(value.type)
        phi.add_incoming(first, before)
        phi.add_incoming(value, after)
        last.append(phi)
    return last


def _as_written(module):
    """Return loop metadata that disables unrolling and vectorization."""
    off = module.add_metadata(["llvm.loop.unroll.disable"])
    narrow = module.add_metadata(["llvm.loop.vectorize.enable", ir.IntType(1)(0)])
    own = ir.MDValue(module, (), name=str(len(module.metadata)))
    own.operands = (own, off, narrow)  # LLVM identifies a loop by a reference to the node itself
    return own


def loop(builder, count, body, short=False):
    """Emit a loop `body(i)` for i = 0 .. count - 1; `short` as in `fold`."""

    def step(i, carried):
        body(i)
        return carried

    fold(builder, count, [], step, short)


def row_pointers(builder, pointer, offset, stride, valid, rows):
    """Return the addresses of `rows` rows. Rows after the last valid one repeat its address, so
    edge tiles use the same code as full tiles.
    """
    last = builder.sub(valid, I64(1))
    pointers = []
    for i in range(rows):
        row = builder.select(builder.icmp_signed("<", I64(i), valid), I64(i), last) if i else I64(0)
        pointers.append(at(builder, pointer, builder.add(offset, builder.mul(row, stride))))
    return pointers


def broadcast(builder, pointer, offset, lanes):
    """Load one float and return a vector that holds it in every lane."""
    value = load(builder, at(builder, pointer, offset), 1).ir
    undefined = ir.Constant(ir.VectorType(F32, lanes), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, undefined, zeros)


def prefetch(builder, pointer, write=False, level=1):
    """Prefetch the cache line at `pointer` into the cache of `level`. Invalid addresses do not
    fault.
    """
    kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
    flags = [ir.IntType(32)(flag) for flag in (int(write), 4 - level, 1)]  # 1: data
    builder.call(function, [builder.bitcast(pointer, kinds[0]), *flags])


def choose(builder, condition, yes, no):
    """Emit an if-else: return the values of `yes()` if the i1 `condition` holds, else of `no()`."""
    ends, results = [], []
    with builder.if_else(condition) as (then, otherwise):
        for branch, values in ((then, yes), (otherwise, no)):
            with branch:
                results.append(values())
                ends.append(builder.basic_block)
    chosen = []
    for pair in zip(*results, strict=True):
        phi = builder.phi(pair[0].type)
        for value, end in zip(pair, ends, strict=True):
            phi.add_incoming(value, end)
        chosen.append(phi)
    return chosen
