"""From a Python function that emits instructions to a function that kernels can call."""

import functools
import inspect

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ..emit import F32, I64, at, load


def vector_code(body=None, *, once=None):
    """Decorator: `body(builder, *operands)` as a call inside kernels. Arrays arrive as pointers to
    their first element, integers as 64-bit values, real numbers as float32 values. Nothing is
    returned: it writes to memory.

    once: None emits the code at every call, where constants of the caller simplify it. A name that
    no other body has emits one function, which LLVM does not inline: long code with several calls
    is then compiled one time.
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
    """Call `body(builder, *operands)` as a function of the module, which the first call emits, and
    LLVM does not inline. Equal functions of several modules merge when these are linked.

    name: no other body has it. returned: the LLVM type of the result of `body`; void for None.
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
    """Run the case that the integer `key` names, or none. cases: {number: function}."""
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
    """Loop i = 0 .. count - 1 with values carried from round to round: `body(i, carried) ->
    carried`; returns the last.

    carried: a list of LLVM values, kept in registers (phi nodes). short: LLVM neither unrolls nor
    vectorizes the loop, since it has few rounds.
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
    """Metadata of a loop that LLVM must not duplicate."""
    off = module.add_metadata(["llvm.loop.unroll.disable"])
    narrow = module.add_metadata(["llvm.loop.vectorize.enable", ir.IntType(1)(0)])
    own = ir.MDValue(module, (), name=str(len(module.metadata)))
    own.operands = (own, off, narrow)  # LLVM identifies a loop by a reference to the node itself
    return own


def loop(builder, count, body, short=False):
    """Loop i = 0 .. count - 1: `body(i)`; short as in `fold`."""

    def step(i, carried):
        body(i)
        return carried

    fold(builder, count, [], step, short)


def row_pointers(builder, pointer, offset, stride, valid, rows):
    """Addresses of `rows` rows; the ones after the last valid row repeat it, so that edge tiles
    need no other code.
    """
    last = builder.sub(valid, I64(1))
    pointers = []
    for i in range(rows):
        row = builder.select(builder.icmp_signed("<", I64(i), valid), I64(i), last) if i else I64(0)
        pointers.append(at(builder, pointer, builder.add(offset, builder.mul(row, stride))))
    return pointers


def broadcast(builder, pointer, offset, lanes):
    """One float of memory in every lane."""
    value = load(builder, at(builder, pointer, offset), 1).ir
    undefined = ir.Constant(ir.VectorType(F32, lanes), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, undefined, zeros)


def prefetch(builder, pointer, write=False, level=1):
    """Ask for the cache line at `pointer`, up to the cache of that `level`; no address faults."""
    kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
    flags = [ir.IntType(32)(flag) for flag in (int(write), 4 - level, 1)]  # 1: data
    builder.call(function, [builder.bitcast(pointer, kinds[0]), *flags])


def choose(builder, condition, yes, no):
    """The values of `yes()` if `condition` (a truth value) holds, else those of `no()`."""
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
