"""ProxyProtocol.SNI for the official Python client. The C++ library inside its wheel knows it (ClientConfiguration::setProxyServiceUrl and
::setProxyProtocol are exported), the Python layer on top has no word for it: here they are called on the configuration it makes.

    with through("pulsar+ssl://gateway:6651"): client = pulsar.Client("pulsar+ssl://broker-1.example.com:6651", ...)
"""
import contextlib
import ctypes
import pathlib

import _pulsar

_SNI = 0  # ClientConfiguration::ProxyProtocol
_HEAD = 2 * ctypes.sizeof(ctypes.c_void_p)  # of a Python object; in pybind11's, the C++ object's address comes next
_CLASS = "_ZN6pulsar19ClientConfiguration"


class _String(ctypes.Structure):
    """A std::string as a callee sees a const reference to one: where its bytes are and how many."""

    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t), ("room", ctypes.c_char * 16)]


def _library():
    """The wheel's libpulsar: the one that the Python module itself is linked with, already in this process."""
    (file,) = (pathlib.Path(_pulsar.__file__).parent / "pulsar_client.libs").glob("libpulsar-*.so*")
    library = ctypes.CDLL(str(file))
    return (
        library[_CLASS + "18setProxyServiceUrlERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"],
        library[_CLASS + "16setProxyProtocolENS0_13ProxyProtocolE"],
        library["_ZNK6pulsar19ClientConfiguration26getOperationTimeoutSecondsEv"],
    )


def _set(configuration, url):
    set_url, set_protocol, timeout = _library()
    address = ctypes.c_void_p.from_address(id(configuration) + _HEAD)
    configuration.operation_timeout_seconds(12345)
    assert timeout(address) == 12345, "this is not where the C++ object is"
    data = url.encode()
    set_url(address, ctypes.byref(_String(data, len(data))))
    set_protocol(address, _SNI)


@contextlib.contextmanager
def through(url):
    """Clients made inside connect to the proxy only, and name the broker they want by SNI."""
    original = _pulsar.ClientConfiguration

    def make():
        configuration = original()
        _set(configuration, url)
        return configuration

    _pulsar.ClientConfiguration = make
    try:
        yield
    finally:
        _pulsar.ClientConfiguration = original
