"""Open a source: a file, an image sequence, or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from select import select

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from vidsr.errors import InputError
from vidsr.options.image_sequence import ImageSequence, is_sequence
from vidsr.options.input_folder import is_animated_webp, still_format
from vidsr.options.source import Reading
from vidsr.video.animated_webp import as_clip
from vidsr.video.declared_sizes import check_image

STANDARD_INPUT = 0
POLL_SECONDS = 0.1  # how often a reader that waits for a pipe checks whether to stop
BUFFER_BYTES = 1 << 20  # read at a time
PIPE_REMEDY = "send a format that needs no seeking: y4m, nut, matroska; or raw planes with --raw"
TEXT_FORMATS = ("tty", "lrc", "srt", "ass", "webvtt")  # FFmpeg decodes these text files as video
# FFmpeg's formats of files that hold their own frames. The others stay closed: hls, concat, dash, imf, sdp, mlv and
# vobsub open further files or network addresses that the file names, and devices record.
CLIP_FORMATS = (
    "3dostr,4xm,aa,act,anm,apng,argo_brp,asf,asf_o,av1,avi,avs,avs2,avs3,bethsoftvid,bfi,bink,"
    "bmv,c93,caf,cavsvideo,cdxl,cine,dcstr,derf,dfa,dhav,dirac,dnxhd,dsicin,dv,dxa,ea,ea_cdata,"
    "evc,film_cpk,filmstrip,fits,flic,flv,frm,gdv,gif,gxf,h261,h263,h264,hevc,hnm,ico,idcin,iff,"
    "ifv,image2,ingenient,ipmovie,ipu,iss,iv8,ivf,ivr,jpegxl_anim,jv,kux,live_flv,lmlm4,luodat,"
    "lvf,lxf,m4v,matroska,mgsts,mjpeg,mjpeg_2000,mm,moflex,mov,mpeg,mpegts,mpegvideo,mpjpeg,"
    "msnwctcp,mtv,mv,mvi,mxf,mxg,nc,nsv,nut,nuv,obu,ogg,paf,pdv,pmp,psxstr,pva,r3d,rl2,rm,"
    "roq,rpl,sdr2,ser,sga,siff,simbiosis_imx,smjpeg,smk,smush,svs,swf,thp,tiertexseq,tmv,txd,ty,"
    "usm,vc1,vc1test,vidc,vividas,vivo,vmd,vvc,wc3movie,webm,wsvqa,wtv,xmv,yop,yuv4mpegpipe,"
    "bmp_pipe,cri_pipe,dds_pipe,dpx_pipe,exr_pipe,gem_pipe,gif_pipe,hdr_pipe,j2k_pipe,jpeg_pipe,"
    "jpegls_pipe,jpegxl_pipe,jpegxs_pipe,pam_pipe,pbm_pipe,pcx_pipe,pfm_pipe,pgm_pipe,pgmyuv_pipe,"
    "pgx_pipe,phm_pipe,photocd_pipe,pictor_pipe,png_pipe,ppm_pipe,psd_pipe,qdraw_pipe,qoi_pipe,sgi_pipe,"
    "sunrast_pipe,tiff_pipe,vbn_pipe,webp_pipe,xbm_pipe,xpm_pipe,xwd_pipe,aac,ac3,aiff,amr,ape,au,"
    "dts,eac3,flac,mp3,mpc,tak,truehd,tta,voc,w64,wav,wv"
)
# Contents by which FFmpeg recognises files that open other files
PLAYLIST_MARKS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"<CompositionPlaylist", b"c=IN IP", b"# VobSub index file")
PLAYLIST_START = 4096  # bytes of a file that are searched for them


def is_pipe(path: Path) -> bool:
    """Whether ``path`` can be read only once: ``-`` (standard input) or a named pipe."""
    return str(path) == "-" or path.is_fifo()


def has_copyable_streams(path: Path, reading: Reading | None) -> bool:
    """Whether ``path`` is a file that can be opened again to copy its other streams."""
    return not (is_pipe(path) or is_sequence(path) or (reading is not None and reading.raw))


def open_source(path: Path, reading: Reading | None = None, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a source, decoded by ``hwaccel`` if given; the caller closes it.

    Raises:
        InputError: the file does not exist, is empty, or has a format that FFmpeg does not know.
    """
    reading = reading or Reading()
    kind, options = (None, {}) if reading.raw is None else ("rawvideo", reading.raw.demuxer_options)
    if str(path) == "-":
        return _opened(path, StandardInput(), kind, options | closed("pipe", kind), hwaccel)
    if is_sequence(path):
        kind, options = "image2", _sequence_options(ImageSequence(path), reading)
        # the same pattern syntax as FFmpeg's, except that FFmpeg also expands percent signs in folder names
        pattern = f"file:{str(path.parent).replace('%', '%%')}/{path.name}"
        return _opened(path, pattern, kind, options | closed("file", kind), hwaccel)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty: name a clip")
    if path.is_file() and (still := still_format(path)):
        raise InputError(f"{path} is a still image ({still}), which vidsr does not read: convert it to PNG")
    if path.is_file() and is_animated_webp(path):
        check_image(path, memoryview(path.read_bytes()), reading.max_pixels)
        return _opened(path, as_clip(path), "mov", options, hwaccel)
    # "file:" keeps a name with a colon from being read as a protocol
    return _opened(path, f"file:{path}", kind, options | closed("file", kind), hwaccel)


def closed(protocol: str, kind: str | None = None) -> dict[str, str]:
    """Return FFmpeg options that open one file by ``protocol`` and nothing that it refers to.

    ``kind`` is the format of the file; None detects it among `CLIP_FORMATS`.
    """
    formats = kind or ",".join([CLIP_FORMATS, *TEXT_FORMATS])
    return {"protocol_whitelist": protocol, "format_whitelist": formats}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Context in which an error of FFmpeg is an `InputError` about ``path``."""
    try:
        yield
    except av.FFmpegError as error:
        raise InputError(
            f"{path} cannot be read ({reason(error)}): check that it plays, or convert it first"
        ) from error


def reason(error: BaseException) -> str:
    """Return FFmpeg's error message, its first letter in lower case, without numbers or paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _opened(
    path: Path,
    source: str | StandardInput | BytesIO,
    kind: str | None,
    options: dict[str, str],
    hwaccel: HWAccel | None,
) -> InputContainer:
    try:
        container = av.open(
            source,
            "r",
            format=kind,
            options=options,
            metadata_errors="replace",
            buffer_size=BUFFER_BYTES,
            hwaccel=hwaccel,
        )
    except av.FFmpegError as error:
        if isinstance(source, StandardInput) and source.failure is not None:
            raise source.failure from None
        if isinstance(source, str) and _is_playlist(path):
            raise InputError(f"{path} is a playlist, which opens other files: name the clips themselves") from None
        remedy = PIPE_REMEDY if is_pipe(path) else "name a file that FFmpeg can play"
        raise InputError(f"{path} cannot be read ({reason(error)}): {remedy}") from None
    if container.format.name in TEXT_FORMATS:
        container.close()
        raise InputError(f"{path} is text, not a clip: name a file that FFmpeg can play")
    return container


def _is_playlist(path: Path) -> bool:
    """Whether the file ``path`` looks like a list of other files."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        start = file.read(PLAYLIST_START)
        return any(mark in start for mark in PLAYLIST_MARKS)
    return False


def _sequence_options(sequence: ImageSequence, reading: Reading) -> dict[str, str]:
    numbers = sequence.contiguous_numbers()
    return {
        "pattern_type": "sequence",
        "start_number": str(numbers[0]),
        "framerate": str(reading.sequence_rate),
    }


class StandardInput:
    """The standard input as a file object for FFmpeg that cannot seek.

    `stop` ends it from any thread.

    Raises:
        InputError: the standard input is a terminal, or closed.
    """

    name = "-"

    def __init__(self) -> None:
        self.failure: BaseException | None = None  # raised while FFmpeg was reading; cannot pass through FFmpeg
        self._stopped = False
        if sys.stdin is None:
            raise InputError("- is the standard input, which is closed: pipe a clip, or name a file")
        if os.isatty(STANDARD_INPUT):
            raise InputError(
                "- is the standard input, which is a terminal: pipe a clip, as in ffmpeg ... -f yuv4mpegpipe - | vidsr"
            )

    def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        try:
            while not self._stopped:
                if select([STANDARD_INPUT], [], [], POLL_SECONDS)[0]:
                    return os.read(STANDARD_INPUT, size)
        except BaseException as failure:  # Ctrl-C: FFmpeg cannot pass it on
            self.failure, self._stopped = failure, True
        return b""

    def stop(self) -> None:
        """End the stream, also for a thread that waits for more of it."""
        self._stopped = True

    def seekable(self) -> bool:
        """Return False."""
        return False


def standard_input(container: InputContainer) -> StandardInput | None:
    """Return the standard input that ``container`` reads; None if it reads something else."""
    source = getattr(container.file, "file", None)
    return source if isinstance(source, StandardInput) else None
